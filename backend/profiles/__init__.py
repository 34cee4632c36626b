"""Model profiles: small TOML files that say, as settings, which models play the roles and who runs them."""

from backend.profiles.loader import DEFAULT_PROFILE, About, Profile, load_profile, shipped_profiles

__all__ = ["DEFAULT_PROFILE", "About", "Profile", "load_profile", "shipped_profiles"]
