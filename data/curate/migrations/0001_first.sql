-- An example as a row of a dataset shows it. `decision` is the current one (0: none) and `state` what it says, kept
-- with the decisions in one transaction. `seen` is the last import that met it; one that its dataset no longer has is
-- `stale` and stands in no queue while nobody has decided about it.
CREATE TABLE examples (
    place INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    id TEXT NOT NULL,
    role TEXT NOT NULL,
    split TEXT NOT NULL,
    source TEXT NOT NULL,
    session TEXT NOT NULL,
    files TEXT NOT NULL,
    folder TEXT NOT NULL,
    tokens INTEGER NOT NULL,
    trained INTEGER NOT NULL,
    quality REAL NOT NULL,
    preview TEXT NOT NULL,
    seen INTEGER NOT NULL,
    stale INTEGER NOT NULL DEFAULT 0,
    decision INTEGER NOT NULL DEFAULT 0,
    state TEXT NOT NULL DEFAULT 'undecided'
);

CREATE INDEX examples_by_state ON examples (state, place);
CREATE INDEX examples_by_id ON examples (id);
CREATE INDEX examples_by_session ON examples (session);

-- Apart from the rest, so that lists and counts do not read them.
CREATE TABLE texts (
    place INTEGER PRIMARY KEY REFERENCES examples,
    turns TEXT NOT NULL,
    about TEXT NOT NULL
);

-- What near-duplicates share: keys of the bands of their signatures.
CREATE TABLE bands (
    band INTEGER NOT NULL,
    place INTEGER NOT NULL,
    PRIMARY KEY (band, place)
) WITHOUT ROWID;

CREATE INDEX bands_by_place ON bands (place);

-- Only grows. `change` is of the original, `result` the key of the example that a build makes of it.
CREATE TABLE decisions (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL,
    session TEXT NOT NULL,
    action TEXT NOT NULL CHECK (action IN ('approve', 'reject', 'edit', 'trim', 'undo')),
    change TEXT NOT NULL,
    result TEXT NOT NULL,
    undoes INTEGER REFERENCES decisions,
    author TEXT NOT NULL,
    decided_at TEXT NOT NULL,
    why TEXT NOT NULL
);

CREATE INDEX decisions_by_key ON decisions (key, id);
CREATE INDEX decisions_by_result ON decisions (result);
CREATE INDEX decisions_by_author ON decisions (author, id);

-- The datasets that were read, each with the manifest that it had then.
CREATE TABLE imports (
    folder TEXT PRIMARY KEY,
    number INTEGER NOT NULL,
    manifest TEXT NOT NULL
);

-- Examples that somebody asked to forget, so that their decisions may go.
CREATE TABLE forgotten (
    key TEXT PRIMARY KEY
) WITHOUT ROWID;

CREATE TRIGGER decisions_stay BEFORE UPDATE ON decisions
BEGIN
    SELECT RAISE(ABORT, 'a decision never changes');
END;

CREATE TRIGGER decisions_remain BEFORE DELETE ON decisions
WHEN NOT EXISTS (SELECT 1 FROM forgotten WHERE key = OLD.key)
BEGIN
    SELECT RAISE(ABORT, 'a decision is never deleted');
END;
