"""The method of RALLRec+: datasets, retrieval, prompting, engines, merging. Knows no database and no screen."""
