"""The panes: line-API widgets that draw the board, one widget a pane and never one a row."""
