"""What kendra does for each command: a file per flow, named as in `contracts/`. Each reads like its sequence diagram."""
