"""PyPI's postgrest against the service: client.py ADDRESS. Prints `done` if everything was as it should be."""

import sys

from postgrest import CountMethod, ReturnMethod, SyncPostgrestClient
from postgrest.exceptions import APIError

client = SyncPostgrestClient(sys.argv[1])


def table():
    return client.from_("patron")


def names(reply):
    return [row["name"] for row in reply.data]


def expect(got, wanted):
    assert got == wanted, f"{got!r} is not {wanted!r}"


# Insert: one row, several rows, and without an answer.
expect(table().insert({"name": "Ann", "fav_dish": "Chili"}).execute().data, [{"id": 1, "name": "Ann", "fav_dish": "Chili"}])
expect(names(table().insert([{"name": "Bob", "fav_dish": "Rice"}, {"name": "Cy", "fav_dish": None}]).execute()), ["Bob", "Cy"])
table().insert({"name": "Di", "fav_dish": "Chili con carne"}, returning=ReturnMethod.minimal).execute()
expect(table().insert({"name": "Ed"}, count=CountMethod.exact).execute().count, 1)

# Select.
expect(len(table().select("*").execute().data), 5)
expect(table().select("name").eq("id", 1).execute().data, [{"name": "Ann"}])
expect(names(table().select("*").neq("id", 1).order("id").execute()), ["Bob", "Cy", "Di", "Ed"])
expect(names(table().select("*").gt("id", 1).lte("id", 3).order("id").execute()), ["Bob", "Cy"])
expect(names(table().select("*").in_("name", ["Ann", "Cy", "x,y"]).order("id").execute()), ["Ann", "Cy"])
expect(names(table().select("*").like("fav_dish", "Chili%").order("id").execute()), ["Ann", "Di"])
expect(names(table().select("*").ilike("fav_dish", "chili").execute()), ["Ann"])
expect(names(table().select("*").is_("fav_dish", "null").order("id").execute()), ["Cy", "Ed"])
expect(names(table().select("*").not_.is_("fav_dish", "null").order("id").execute()), ["Ann", "Bob", "Di"])
expect(names(table().select("*").order("name", desc=True).limit(2).execute()), ["Ed", "Di"])
expect(names(table().select("*").order("id").range(1, 2).execute()), ["Bob", "Cy"])
expect(table().select("*", count=CountMethod.exact).order("id").range(0, 1).execute().count, 5)
expect(table().select("*", count=CountMethod.exact, head=True).execute().count, 5)

# Conditions joined by or and and.
expect(names(table().select("*").or_("id.eq.1,name.eq.Cy").order("id").execute()), ["Ann", "Cy"])
expect(names(table().select("*").or_("id.eq.1,and(id.gt.3,fav_dish.not.is.null)").order("id").execute()), ["Ann", "Di"])
expect(names(table().select("*").or_('name.in.("x,y",Bob),fav_dish.like.Chili*').gt("id", 1).order("id").execute()), ["Bob", "Di"])
try:
    table().select("*,other(*)").execute()
    raise AssertionError("other tables cannot be embedded")
except APIError as error:
    expect(error.code, "PGRST200")

# One row.
expect(table().select("*").eq("id", 2).single().execute().data["name"], "Bob")
expect(table().select("*").eq("id", 99).maybe_single().execute(), None)
try:
    table().select("*").single().execute()
    raise AssertionError("several rows are not one")
except APIError as error:
    expect(error.code, "PGRST116")

# Upsert, update, delete.
expect(names(table().upsert({"id": 2, "name": "Bo", "fav_dish": "Rice"}).execute()), ["Bo"])
expect(table().upsert({"id": 2, "name": "no"}, ignore_duplicates=True, on_conflict="id").execute().data, [])
expect(names(table().update({"fav_dish": "Soup"}).eq("id", 3).execute()), ["Cy"])
expect(table().select("fav_dish").eq("id", 3).execute().data, [{"fav_dish": "Soup"}])
expect(names(table().delete().eq("id", 1).execute()), ["Ann"])
expect(table().delete(count=CountMethod.exact, returning=ReturnMethod.minimal).gt("id", 3).execute().count, 2)
expect(names(table().select("*").order("id").execute()), ["Bo", "Cy"])

# A field that is missing in one of several rows is its column's default.
expect(names(table().insert([{"id": 90, "name": "Flo"}, {"name": "Gus"}], default_to_null=False).execute()), ["Flo", "Gus"])
expect(len(table().delete().gt("id", 3).execute().data), 2)

# Errors have code and message.
try:
    table().select("none").execute()
    raise AssertionError("there is no such column")
except APIError as error:
    expect(error.code, "42703")
try:
    table().insert({"id": 2}).execute()
    raise AssertionError("the key is there")
except APIError as error:
    expect(error.code, "23505")

print("done")
