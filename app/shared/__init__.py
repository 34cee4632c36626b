"""What more than one screen uses: the frame, templates, addresses, controls, jobs and runs."""
