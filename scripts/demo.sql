-- The demo's database: teams, users and products, the same on every machine.
-- Named as `init` of an sqlite backend, it is loaded when the database file is not there yet.
--
-- `version` grows with every change of a row: the triggers at the end see to it, so that a loader
-- can hand it to the cache and `invalidate(key, version)` means what it says.

PRAGMA foreign_keys = ON;

BEGIN;

CREATE TABLE teams (
  id      INTEGER PRIMARY KEY,
  name    TEXT NOT NULL UNIQUE,
  city    TEXT NOT NULL,
  version INTEGER NOT NULL DEFAULT 1
);

CREATE TABLE users (
  id       INTEGER PRIMARY KEY,
  name     TEXT NOT NULL,
  email    TEXT NOT NULL UNIQUE,
  team_id  INTEGER NOT NULL REFERENCES teams (id),
  settings JSON NOT NULL DEFAULT '{}',
  version  INTEGER NOT NULL DEFAULT 1
);
CREATE INDEX users_by_team ON users (team_id);

CREATE TABLE products (
  id          INTEGER PRIMARY KEY,
  name        TEXT NOT NULL UNIQUE,
  price_cents INTEGER NOT NULL CHECK (price_cents > 0),
  stock       INTEGER NOT NULL CHECK (stock >= 0),
  tags        JSON NOT NULL DEFAULT '[]',
  version     INTEGER NOT NULL DEFAULT 1
);

INSERT INTO teams (id, name, city) VALUES
  (1, 'Accounts', 'Lisbon'), (2, 'Billing', 'Lyon'), (3, 'Catalogue', 'Oslo'),
  (4, 'Checkout', 'Kraków'), (5, 'Delivery', 'Porto'), (6, 'Design', 'Utrecht'),
  (7, 'Finance', 'Zürich'), (8, 'Operations', 'Gdańsk'), (9, 'Pricing', 'Ghent'),
  (10, 'Research', 'Leeds'), (11, 'Search', 'Tartu'), (12, 'Support', 'Málaga');

-- Words to build names from; n counts from 0. 40 first names and 37 family names have no common
-- divisor, so 1000 people go through all their pairs without meeting one twice.
CREATE TEMP TABLE words (kind TEXT, n INTEGER, word TEXT, more TEXT, PRIMARY KEY (kind, n));

INSERT INTO words (kind, n, word)
SELECT 'first', key, value FROM json_each('["Ada", "Amir", "Anouk", "Beatriz", "Bruno", "Chidi",
  "Chloé", "Dag", "Dilnoza", "Elif", "Emeka", "Farah", "Felix", "Grete", "Hana", "Hugo", "Ines",
  "Ivo", "Jasmin", "Jonas", "Kaito", "Kamala", "Lars", "Leonor", "Mateo", "Mei", "Nadia", "Noam",
  "Oksana", "Omar", "Petra", "Priya", "Quentin", "Rosa", "Samir", "Sofía", "Tomasz", "Ulla",
  "Victor", "Yara"]');
INSERT INTO words (kind, n, word)
SELECT 'family', key, value FROM json_each('["Abebe", "Almeida", "Andersen", "Bakker", "Bauer",
  "Castillo", "Chen", "Dubois", "Eriksen", "Fischer", "García", "Haddad", "Hoffmann", "Ivanova",
  "Jansen", "Kaya", "Keller", "Kowalski", "Lindqvist", "Marino", "Mbeki", "Moreau", "Nakamura",
  "Novak", "Okafor", "Olsen", "Park", "Petrov", "Rahman", "Rossi", "Sato", "Silva", "Singh",
  "Tanaka", "Vargas", "Weber", "Yılmaz"]');
-- more: the name as an e-mail address spells it.
UPDATE words SET more = lower(replace(replace(replace(word, 'í', 'i'), 'ı', 'i'), 'é', 'e'))
WHERE kind IN ('first', 'family');

WITH RECURSIVE ids (id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM ids WHERE id < 1000)
INSERT INTO users (id, name, email, team_id, settings)
SELECT ids.id,
       f.word || ' ' || l.word,
       f.more || '.' || l.more || '@example.org',
       1 + (ids.id * 7 + ids.id / 13) % 12,
       json_object('theme', CASE ids.id % 5 WHEN 0 THEN 'dark' WHEN 1 THEN 'contrast' ELSE 'light' END,
                   'language', json_extract('["en", "de", "fr", "pl", "pt", "es", "tr"]',
                                            '$[' || (ids.id * 3 % 7) || ']'),
                   'mail', json_object('weekly', json(iif(ids.id % 3 = 0, 'true', 'false')),
                                       'hour', 6 + ids.id % 5),
                   'page', 10 * (1 + ids.id % 4))
FROM ids
JOIN words AS f ON f.kind = 'first' AND f.n = ids.id % 40
JOIN words AS l ON l.kind = 'family' AND l.n = ids.id % 37;

-- word: a kind of product; more: all of its array, that is name, price in cents, tags.
INSERT INTO words (kind, n, word, more)
SELECT 'thing', key, json_extract(value, '$[0]'), value FROM json_each('[
  ["Backpack", 4900, "outdoor", "travel"], ["Bicycle Bell", 900, "cycling"],
  ["Blanket", 2900, "home"], ["Bookshelf", 8900, "furniture", "home"],
  ["Bread Knife", 1900, "kitchen"], ["Camping Stove", 3900, "outdoor", "kitchen"],
  ["Coffee Grinder", 4500, "kitchen", "coffee"], ["Cutting Board", 1500, "kitchen"],
  ["Desk Lamp", 3500, "office", "lighting"], ["Espresso Cup", 700, "kitchen", "coffee"],
  ["Fountain Pen", 2500, "office"], ["Garden Shears", 2200, "garden"],
  ["Hammock", 4200, "garden", "outdoor"], ["Headlamp", 2700, "outdoor", "lighting"],
  ["Kettle", 3300, "kitchen"], ["Notebook", 600, "office"], ["Picnic Basket", 3100, "outdoor"],
  ["Raincoat", 5900, "clothing", "outdoor"], ["Saddle", 4700, "cycling"],
  ["Teapot", 2800, "kitchen", "tea"], ["Umbrella", 1800, "clothing"],
  ["Wall Clock", 2600, "home"], ["Watering Can", 1700, "garden"],
  ["Wool Scarf", 2100, "clothing"], ["Writing Desk", 15900, "furniture", "office"]]');
INSERT INTO words (kind, n, word)
SELECT 'make', key, value FROM json_each('["Aspen", "Basalt", "Birch", "Cobalt", "Copper", "Cork",
  "Ember", "Fern", "Flint", "Granite", "Hazel", "Indigo", "Juniper", "Linen", "Maple", "Ochre",
  "Olive", "Slate", "Walnut", "Willow"]');

-- 25 things in 20 makes each.
WITH RECURSIVE ids (id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM ids WHERE id < 500)
INSERT INTO products (id, name, price_cents, stock, tags)
SELECT ids.id,
       m.word || ' ' || t.word,
       json_extract(t.more, '$[1]') * (10 + (ids.id * 17) % 9) / 10 / 10 * 10 + 9,
       CASE WHEN ids.id % 23 = 0 THEN 0 ELSE (ids.id * 37) % 240 END,
       json_insert(json_remove(t.more, '$[0]', '$[0]'), '$[#]', lower(m.word))
FROM ids
JOIN words AS t ON t.kind = 'thing' AND t.n = (ids.id - 1) % 25
JOIN words AS m ON m.kind = 'make' AND m.n = (ids.id - 1) / 25;

DROP TABLE words;

CREATE TRIGGER teams_version AFTER UPDATE ON teams WHEN new.version <= old.version
BEGIN UPDATE teams SET version = old.version + 1 WHERE id = new.id; END;

CREATE TRIGGER users_version AFTER UPDATE ON users WHEN new.version <= old.version
BEGIN UPDATE users SET version = old.version + 1 WHERE id = new.id; END;

CREATE TRIGGER products_version AFTER UPDATE ON products WHEN new.version <= old.version
BEGIN UPDATE products SET version = old.version + 1 WHERE id = new.id; END;

COMMIT;
