"""What another placement policy would have done: a history, the same meetings placed again under the policy, both side by side."""
