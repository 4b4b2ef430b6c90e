-- product:{id:int} -> {id, name, price, in_stock, tags, version}
--
-- Shapes the row for its readers: cents become the exact text "12.50", and a product that is sold
-- out is kept for a shorter time, because that is what changes next.

local SOLD_OUT_TTL = "30s"

local function price_text(cents)
  return ("%d.%02d"):format(math.floor(cents / 100), cents % 100)
end

local function load(_, ctx)
  local row = ctx.db:row(
    "SELECT id, name, price_cents, stock, tags, version FROM products WHERE id = $1", ctx.match.id)
  if not row then
    return nil
  end

  local options = { version = row.version }
  if row.stock == 0 then
    options.ttl = SOLD_OUT_TTL
  end

  -- Nothing changed since the entry was stored: its bytes stay, its time starts again.
  if ctx.version == row.version then
    return rtcache.unchanged, options
  end

  return {
    id = row.id,
    name = row.name,
    price = price_text(row.price_cents),
    in_stock = row.stock > 0,
    tags = row.tags,
    version = row.version,
  }, options
end

return { load = load }
