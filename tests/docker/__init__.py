"""Tests of the Dockerfile: quick ones about its text, and a runner that carries out its steps without an engine."""
