"""Search: an Optuna study whose trials are points of a space, trained by worker processes.

`search` makes the folder, `search_run` runs what is left of a search: the `coordinator` asks the
`study` for trials and has them trained by the pool of `workers`, here or with `ray`; `build_result`
judges what came out. In `shared` several such processes have one study in a database.
"""
