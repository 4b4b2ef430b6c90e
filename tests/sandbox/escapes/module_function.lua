-- `module` makes globals, and with package.seeall a way to the real ones.
-- refused: attempt to call global 'module'
return {
  load = function(key, ctx)
    return module "m"
  end,
}
