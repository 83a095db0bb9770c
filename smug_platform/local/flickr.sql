-- Flickr's schema as each shard holds it. Ids come from the ticket server, so they are unique over
-- all shards. Types are chosen as such schemas have them, hard ones included.
CREATE TABLE licenses (
  id            TINYINT UNSIGNED NOT NULL PRIMARY KEY,
  code          CHAR(12) CHARACTER SET latin1 NOT NULL,
  name          VARCHAR(80) NOT NULL,
  allows_sale   TINYINT(1) NOT NULL DEFAULT 0
);

CREATE TABLE accounts (
  id            BIGINT UNSIGNED NOT NULL PRIMARY KEY,
  screen_name   VARCHAR(60) NOT NULL,
  display_name  VARCHAR(120) NULL,
  email         VARCHAR(190) NOT NULL,
  password_hash BINARY(32) NOT NULL,
  country       CHAR(2) CHARACTER SET latin1 NOT NULL,
  city          VARCHAR(80) CHARACTER SET latin1 NULL,
  plan          ENUM('free','pro','portfolio','business') NOT NULL DEFAULT 'free',
  flags         SET('verified','staff','adult','suspended') NOT NULL DEFAULT '',
  preferences   JSON NULL,
  storage_bytes BIGINT UNSIGNED NOT NULL DEFAULT 0,
  born_on       DATE NULL,
  signup_ip     VARBINARY(16) NULL,
  created_at    DATETIME(6) NOT NULL,
  updated_at    TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3)
);

CREATE TABLE photos (
  id            BIGINT UNSIGNED NOT NULL PRIMARY KEY,
  account_id    BIGINT UNSIGNED NOT NULL,
  title         VARCHAR(255) NOT NULL DEFAULT '',
  description   TEXT NULL,
  media         ENUM('photo','video','screenshot') NOT NULL DEFAULT 'photo',
  visibility    ENUM('public','friends','family','private') NOT NULL DEFAULT 'public',
  license_id    TINYINT UNSIGNED NOT NULL DEFAULT 0,
  tags          TEXT NULL,
  exif          JSON NULL,
  content_hash  BINARY(16) NOT NULL,
  bytes         INT UNSIGNED NOT NULL,
  width         MEDIUMINT UNSIGNED NOT NULL,
  height        MEDIUMINT UNSIGNED NOT NULL,
  latitude      DECIMAL(9,6) NULL,
  longitude     DECIMAL(9,6) NULL,
  rating        FLOAT NULL,
  duration      TIME(3) NULL,
  taken_at      DATETIME(6) NULL,
  uploaded_at   DATETIME(6) NOT NULL,
  updated_at    TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
  KEY by_account (account_id, uploaded_at)
);

CREATE TABLE albums (
  id            BIGINT UNSIGNED NOT NULL PRIMARY KEY,
  account_id    BIGINT UNSIGNED NOT NULL,
  title         VARCHAR(255) NOT NULL,
  is_public     BIT(1) NOT NULL DEFAULT b'1',
  photo_count   SMALLINT UNSIGNED NOT NULL DEFAULT 0,
  founded       YEAR NULL,
  created_at    DATETIME(6) NOT NULL,
  KEY by_account (account_id)
);

CREATE TABLE album_photos (
  album_id      BIGINT UNSIGNED NOT NULL,
  photo_id      BIGINT UNSIGNED NOT NULL,
  sort_order    INT NOT NULL DEFAULT 0,
  added_at      DATETIME(6) NOT NULL,
  PRIMARY KEY (album_id, photo_id),
  KEY by_photo (photo_id)
);

CREATE TABLE favorites (
  account_id    BIGINT UNSIGNED NOT NULL,
  photo_id      BIGINT UNSIGNED NOT NULL,
  created_at    DATETIME(6) NOT NULL,
  PRIMARY KEY (account_id, photo_id),
  KEY by_photo (photo_id)
);

CREATE TABLE comments (
  id            BIGINT UNSIGNED NOT NULL PRIMARY KEY,
  photo_id      BIGINT UNSIGNED NOT NULL,
  account_id    BIGINT UNSIGNED NOT NULL,
  body          TEXT NOT NULL,
  is_spam       TINYINT(1) NOT NULL DEFAULT 0,
  created_at    DATETIME(6) NOT NULL,
  edited_at     DATETIME(6) NULL,
  KEY by_photo (photo_id)
);

-- Sampled page views: no key at all, and rows that are equal to the last byte.
CREATE TABLE photo_views (
  photo_id      BIGINT UNSIGNED NOT NULL,
  viewer_country CHAR(2) CHARACTER SET latin1 NULL,
  referrer      VARCHAR(60) NULL,
  viewed_on     DATE NOT NULL
);

CREATE TABLE subscriptions (
  id            BIGINT UNSIGNED NOT NULL PRIMARY KEY,
  account_id    BIGINT UNSIGNED NOT NULL,
  plan          ENUM('pro','portfolio','business') NOT NULL,
  status        ENUM('trial','active','past_due','cancelled') NOT NULL,
  price         DECIMAL(10,2) NOT NULL,
  currency      CHAR(3) CHARACTER SET latin1 NOT NULL DEFAULT 'USD',
  started_at    DATETIME(6) NOT NULL,
  cancelled_at  DATETIME(6) NULL,
  KEY by_account (account_id)
);

CREATE TABLE orders (
  id            BIGINT UNSIGNED NOT NULL PRIMARY KEY,
  account_id    BIGINT UNSIGNED NOT NULL,
  status        ENUM('placed','printed','shipped','refunded') NOT NULL DEFAULT 'placed',
  total         DECIMAL(12,2) NOT NULL,
  tax_rate      DECIMAL(5,4) NOT NULL DEFAULT 0,
  currency      CHAR(3) CHARACTER SET latin1 NOT NULL DEFAULT 'USD',
  ship_to       VARCHAR(200) CHARACTER SET latin1 NULL,
  coupon        VARBINARY(24) NULL,
  placed_at     DATETIME(6) NOT NULL,
  updated_at    TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
  KEY by_account (account_id)
);

CREATE TABLE order_items (
  order_id      BIGINT UNSIGNED NOT NULL,
  line_number   SMALLINT UNSIGNED NOT NULL,
  photo_id      BIGINT UNSIGNED NOT NULL,
  product       VARCHAR(40) NOT NULL,
  quantity      SMALLINT UNSIGNED NOT NULL,
  unit_price    DECIMAL(10,2) NOT NULL,
  PRIMARY KEY (order_id, line_number)
);

-- The same rows on every shard; 0 is what a photo carries unless its owner chooses.
INSERT INTO licenses (id, code, name, allows_sale) VALUES
  (0, 'ARR', 'All Rights Reserved', 0),
  (1, 'BY-NC-SA', 'Attribution-NonCommercial-ShareAlike', 0),
  (2, 'BY-NC', 'Attribution-NonCommercial', 0),
  (3, 'BY-NC-ND', 'Attribution-NonCommercial-NoDerivs', 0),
  (4, 'BY', 'Attribution', 1),
  (5, 'BY-SA', 'Attribution-ShareAlike', 1),
  (6, 'BY-ND', 'Attribution-NoDerivs', 1),
  (7, 'NKC', 'No known copyright restrictions', 1),
  (8, 'USGOV', 'United States Government Work', 1),
  (9, 'CC0', 'Public Domain Dedication (CC0)', 1),
  (10, 'PDM', 'Public Domain Mark', 1);
