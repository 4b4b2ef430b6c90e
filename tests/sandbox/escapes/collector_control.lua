-- `collectgarbage` stops the collector, or tells of other scripts' memory.
-- refused: attempt to call global 'collectgarbage'
return {
  load = function(key, ctx)
    return collectgarbage "stop"
  end,
}
