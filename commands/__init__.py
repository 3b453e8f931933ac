"""The commands, one file for each group: parse, call a room, print; rooms are imported inside, so --help is quick."""
