"""The command line, one module a command.

main      the table of commands; a command's module is imported only when it is called
session   finds the server that runs on a data folder, or starts one for as long as it is needed
progress  the progress bar that every command shares
elsewhere commands that evaluation and training run
doctor    what works on this machine, and the bundle for a bug report
demo      the main job once, with a picture
"""
