// npm's @supabase/postgrest-js against the service: client.mjs ADDRESS MODULES. Prints `done` if everything was as it should be.

import assert from "node:assert/strict";
import { createRequire } from "node:module";

const [address, modules] = process.argv.slice(2);
const { PostgrestClient } = createRequire(`${modules}/`)("@supabase/postgrest-js");
const client = new PostgrestClient(address);
const table = () => client.from("patron");

async function rows(query) {
    const { data, error } = await query;
    assert.equal(error, null, JSON.stringify(error));
    return data;
}

async function names(query) {
    return (await rows(query)).map((row) => row.name);
}

async function code(query) {
    const { error } = await query;
    assert.notEqual(error, null, "an error is expected");
    return error.code;
}

// Insert: one row, several rows, and without an answer.
assert.deepEqual(await rows(table().insert({ name: "Ann", fav_dish: "Chili" }).select()), [{ id: 1, name: "Ann", fav_dish: "Chili" }]);
assert.deepEqual(await names(table().insert([{ name: "Bob", fav_dish: "Rice" }, { name: "Cy" }]).select()), ["Bob", "Cy"]);
assert.equal((await table().insert({ name: "Di", fav_dish: "Chili con carne" })).status, 201);
assert.equal((await table().insert([{ name: "Ed" }], { count: "exact" })).count, 1);

// Select.
assert.equal((await rows(table().select())).length, 5);
assert.deepEqual(await rows(table().select("name").eq("id", 1)), [{ name: "Ann" }]);
assert.deepEqual(await names(table().select().neq("id", 1).order("id")), ["Bob", "Cy", "Di", "Ed"]);
assert.deepEqual(await names(table().select().gt("id", 1).lte("id", 3).order("id")), ["Bob", "Cy"]);
assert.deepEqual(await names(table().select().in("name", ["Ann", "Cy", "x,y"]).order("id")), ["Ann", "Cy"]);
assert.deepEqual(await names(table().select().like("fav_dish", "Chili%").order("id")), ["Ann", "Di"]);
assert.deepEqual(await names(table().select().ilike("fav_dish", "chili")), ["Ann"]);
assert.deepEqual(await names(table().select().is("fav_dish", null).order("id")), ["Cy", "Ed"]);
assert.deepEqual(await names(table().select().not("fav_dish", "is", null).order("id")), ["Ann", "Bob", "Di"]);
assert.deepEqual(await names(table().select().match({ name: "Ann", fav_dish: "Chili" })), ["Ann"]);
assert.deepEqual(await names(table().select().order("name", { ascending: false }).limit(2)), ["Ed", "Di"]);
assert.deepEqual(await names(table().select().order("fav_dish", { nullsFirst: true }).order("name", { ascending: false }).limit(1)), ["Ed"]);
assert.deepEqual(await names(table().select().order("id").range(1, 2)), ["Bob", "Cy"]);
assert.equal((await table().select("*", { count: "exact" }).order("id").range(0, 1)).count, 5);
assert.equal((await table().select("*", { count: "exact", head: true })).count, 5);

// Conditions joined by or and and.
assert.deepEqual(await names(table().select().or("id.eq.1,name.eq.Cy").order("id")), ["Ann", "Cy"]);
assert.deepEqual(await names(table().select().or("id.eq.1,and(id.gt.3,fav_dish.not.is.null)").order("id")), ["Ann", "Di"]);
assert.deepEqual(await names(table().select().or('name.in.("x,y",Bob),fav_dish.like.Chili*').gt("id", 1).order("id")), ["Bob", "Di"]);
assert.deepEqual(await names(table().select().or("not.and(id.gt.1,id.lt.5)").or("fav_dish.is.null").order("id")), ["Ed"]);
assert.equal((await table().select("*", { count: "exact", head: true }).or("id.lt.2,id.gt.4")).count, 2);
assert.equal(await code(table().select().or("id.near.1")), "PGRST100");
assert.equal(await code(table().select("*,other(*)")), "PGRST200");
assert.equal(await code(table().select("*").or("id.eq.1", { referencedTable: "other" })), "PGRST200");

// One row.
assert.equal((await rows(table().select().eq("id", 2).single())).name, "Bob");
assert.equal(await rows(table().select().eq("id", 99).maybeSingle()), null);
assert.equal(await code(table().select().single()), "PGRST116");

// Upsert, update, delete.
assert.deepEqual(await names(table().upsert({ id: 2, name: "Bo", fav_dish: "Rice" }).select()), ["Bo"]);
assert.deepEqual(await rows(table().upsert({ id: 2, name: "no" }, { onConflict: "id", ignoreDuplicates: true }).select()), []);
assert.deepEqual(await names(table().update({ fav_dish: "Soup" }).eq("id", 3).select()), ["Cy"]);
assert.equal((await table().update({ fav_dish: "Stew" }).eq("id", 3)).status, 204);
assert.deepEqual(await rows(table().select("fav_dish").eq("id", 3)), [{ fav_dish: "Stew" }]);
assert.deepEqual(await names(table().update({ fav_dish: "Stew" }).or("id.eq.3,id.eq.99").select()), ["Cy"]);
assert.deepEqual(await names(table().delete().eq("id", 1).select()), ["Ann"]);
assert.equal((await table().delete({ count: "exact" }).gt("id", 3)).count, 2);
assert.deepEqual(await names(table().select().order("id")), ["Bo", "Cy"]);

// A field that is missing in one of several rows: null, or its column's default.
assert.equal(await code(table().insert([{ id: 90, name: "Flo" }, { name: "Gus" }])), "23502");
const defaults = { defaultToNull: false };
assert.deepEqual(await names(table().insert([{ id: 90, name: "Flo" }, { name: "Gus" }], defaults).select()), ["Flo", "Gus"]);
assert.deepEqual(await names(table().upsert([{ id: 90, name: "Fay" }, { name: "Hal" }], defaults).select()), ["Fay", "Hal"]);
assert.deepEqual((await names(table().delete().gt("id", 3).select())).sort(), ["Fay", "Gus", "Hal"]);

// Errors have a code.
assert.equal(await code(table().select("none")), "42703");
assert.equal(await code(table().insert({ id: 2 }).select()), "23505");
assert.equal(await code(table().delete()), "21000");

console.log("done");
