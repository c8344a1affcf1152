"""Use cases on users, groups, roles, policies and keys: RAM's and STS's operations in our words.

Whoever may call has been asked before (`operations/authority.py`); nothing here asks again, but for
the account's own keys, which only the account itself changes, and for becoming a role. Kinds in
errors are those of RAM's codes: `NotFound("User.AccessKey", ...)` is `EntityNotExist.User.AccessKey`,
`Duplicate("User.Policy", ...)` is `EntityAlreadyExists.User.Policy`, `InUse("User", ..., by="Group")`
is `DeleteConflict.User.Group`, `TooMany("User", ..., "AccessKey", 2)` is `LimitExceeded.User.AccessKey`.
"""
