"""`doordarshan history`: a meeting as it was at an instant, rebuilt from its log by the same fold that kendra keeps its beginnings with."""
