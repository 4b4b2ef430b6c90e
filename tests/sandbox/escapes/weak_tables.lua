-- A weak table keeps watch on the objects of the runtime.
-- harmless: held
return {
  load = function(key, ctx)
    local watch = setmetatable({}, { __mode = "kv" })
    watch[ctx], watch[ctx.db], watch[1] = ctx.db, ctx, function() end
    for i = 1, 20000 do local _ = { i } end
    return (watch[ctx] == ctx.db or watch[ctx] == nil) and "held" or "escaped"
  end,
}
