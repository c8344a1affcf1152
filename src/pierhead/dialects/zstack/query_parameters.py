"""What every Query API takes in the query of its URL."""

from collections.abc import Mapping

#: Name -> (JSON type, meaning).
QUERY_PARAMETERS: Mapping[str, tuple[str, str]] = {
    "q": ("array", "A condition such as `name=chat`; repeated ones must all hold."),
    "limit": ("integer", "Rows at most; 1000 unless given."),
    "start": ("integer", "Rows to skip."),
    "count": ("boolean", "Answer only how many there are."),
    "replyWithCount": ("boolean", "Add how many there are in all."),
    "sort": ("string", "A field, with + or - before it."),
    "fields": ("string", "Fields to show, separated by commas."),
    "groupBy": ("string", "Only the first row per value of this field."),
    "filterName": ("string", "type:value; no type is known here."),
}
