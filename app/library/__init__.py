"""The Library screen: what was made ahead, the jobs, the datasets, the models and the doctor."""
