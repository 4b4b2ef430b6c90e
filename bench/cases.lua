--- What bench/wide.lua measures: each case is a load, and at which depths (requests in flight on each of
--- 50 connections). Fields that are left out: values of 100 bytes, 10,000 keys, each as likely.

---@class bench.Case
---@field title string
---@field what string @what one operation is
---@field depths integer[]
---@field value? integer @bytes
---@field keys? integer
---@field many? integer @keys of a get
---@field sets? integer @per cent
---@field zipf? boolean
---@field also_many? boolean @a row of memcached with as many keys in one get as there are requests in flight
---@field no_echo? boolean @its answers are not all of one size

local M = {}

---@type table<string, bench.Case>
M.cases = {
  hit = { title = "Hits", what = "get", depths = { 1, 16, 64 }, also_many = true },
  large = { title = "Hits of large values", what = "get", depths = { 1, 16, 64 }, value = 10000, keys = 2000,
    also_many = true },
  set = { title = "Sets", what = "set", depths = { 1, 16, 64 }, sets = 100 },
  many = { title = "A hundred keys at once", what = "key", depths = { 1, 16 }, many = 100 },
  mix = { title = "Nine gets and a set", what = "request", depths = { 1, 16, 64 }, sets = 10, no_echo = true },
  zipf = { title = "A million keys by Zipf's law", what = "get", depths = { 1, 16 }, keys = 1000000, zipf = true },
}

--- In the order in which `wide` runs them; the last two stand in bench/wide.lua itself.
M.order = { "hit", "large", "set", "many", "mix", "zipf", "latency", "threads" }

return M
