"""The Evaluate screen: the paper's tables and figures on the samples at hand."""
