-- The metatable of a query's error is shared by all scripts.
-- harmless: held
return {
  load = function(key, ctx)
    local ok, err = pcall(ctx.db.row, ctx.db, "SELECT nothing FROM nowhere")
    if ok or type(err) ~= "table" then return "no error" end
    return getmetatable(err) == false and not pcall(setmetatable, err, {}) and "held" or "escaped"
  end,
}
