CREATE TABLE versions (
    id INTEGER PRIMARY KEY,
    role TEXT NOT NULL,
    number INTEGER NOT NULL CHECK (number > 0),
    sha256 TEXT NOT NULL,
    base_model TEXT NOT NULL,
    base_revision TEXT,
    run TEXT NOT NULL,
    manifest_sha256 TEXT,
    files TEXT NOT NULL,
    notes TEXT NOT NULL,
    registered_at TEXT NOT NULL,
    UNIQUE (role, number)
);

CREATE INDEX versions_by_adapter ON versions (role, sha256);

-- The sessions whose rows a version learned from, and how many rows of each.
CREATE TABLE sessions (
    version INTEGER NOT NULL REFERENCES versions,
    session TEXT NOT NULL,
    rows INTEGER NOT NULL,
    PRIMARY KEY (version, session)
) WITHOUT ROWID;

CREATE INDEX sessions_by_id ON sessions (session);

-- The transcripts that those rows show; a fork shows that of another session.
CREATE TABLE transcripts (
    version INTEGER NOT NULL REFERENCES versions,
    file TEXT NOT NULL,
    PRIMARY KEY (version, file)
) WITHOUT ROWID;

CREATE TABLE evaluations (
    id INTEGER PRIMARY KEY,
    version INTEGER NOT NULL REFERENCES versions,
    code INTEGER NOT NULL,
    report TEXT NOT NULL,
    base_results TEXT NOT NULL,
    adapter_results TEXT NOT NULL,
    smoke INTEGER NOT NULL,
    base_revision TEXT,
    evaluated_at TEXT NOT NULL
);

-- What was live when. The newest row of a role is live; `parent` is the row to which a rollback goes back.
CREATE TABLE promotions (
    id INTEGER PRIMARY KEY,
    version INTEGER NOT NULL REFERENCES versions,
    role TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('promote', 'rollback')),
    parent INTEGER REFERENCES promotions,
    actor TEXT NOT NULL,
    forced INTEGER NOT NULL,
    why TEXT NOT NULL,
    overruled TEXT NOT NULL,
    promoted_at TEXT NOT NULL
);

CREATE INDEX promotions_by_role ON promotions (role, id);

CREATE TABLE exports (
    id INTEGER PRIMARY KEY,
    version INTEGER NOT NULL REFERENCES versions,
    kind TEXT NOT NULL,
    path TEXT NOT NULL,
    base TEXT,
    sha256 TEXT NOT NULL,
    size INTEGER NOT NULL,
    report TEXT NOT NULL,
    made_at TEXT NOT NULL
);

CREATE TRIGGER versions_stay BEFORE UPDATE ON versions
BEGIN
    SELECT RAISE(ABORT, 'a version never changes');
END;

CREATE TRIGGER versions_remain BEFORE DELETE ON versions
BEGIN
    SELECT RAISE(ABORT, 'a version is never deleted');
END;

CREATE TRIGGER promotions_stay BEFORE UPDATE ON promotions
BEGIN
    SELECT RAISE(ABORT, 'the history only grows');
END;

CREATE TRIGGER promotions_remain BEFORE DELETE ON promotions
BEGIN
    SELECT RAISE(ABORT, 'the history only grows');
END;
