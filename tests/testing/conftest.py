"""Without torch the torch example cannot be imported, so it is not collected for doctests."""

import importlib.util

collect_ignore = [] if importlib.util.find_spec("torch") else ["verl_like.py"]
