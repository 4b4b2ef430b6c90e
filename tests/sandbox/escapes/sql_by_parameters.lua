-- A key that ends the statement it is a parameter of.
-- harmless: held
return {
  load = function(key, ctx)
    local text = "'; DROP TABLE source; --"
    return ctx.db:value("SELECT $1", text) == text and "held" or "escaped"
  end,
}
