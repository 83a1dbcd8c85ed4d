-- The votes: a row for each key that somebody pressed, and no row is ever changed.
CREATE TABLE match (id TEXT PRIMARY KEY, at TEXT NOT NULL, local TEXT NOT NULL, strong TEXT NOT NULL, seed INTEGER);
CREATE TABLE task (
  match TEXT NOT NULL REFERENCES match, id TEXT NOT NULL, kind TEXT NOT NULL, cluster TEXT NOT NULL,
  first TEXT NOT NULL CHECK (first IN ('local', 'strong')), same INTEGER NOT NULL,
  local_seconds REAL, local_prompt_tokens INTEGER, local_new_tokens INTEGER,
  strong_seconds REAL, strong_prompt_tokens INTEGER, strong_new_tokens INTEGER,
  PRIMARY KEY (match, id)
);
CREATE TABLE vote (
  number INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL, author TEXT NOT NULL,
  match TEXT NOT NULL, task TEXT NOT NULL, first TEXT NOT NULL CHECK (first IN ('local', 'strong')),
  choice TEXT NOT NULL CHECK (choice IN ('first', 'second', 'tie', 'skip', 'undo')),
  takes_back INTEGER UNIQUE REFERENCES vote,
  CHECK ((choice = 'undo') = (takes_back IS NOT NULL)),
  FOREIGN KEY (match, task) REFERENCES task (match, id)
);
CREATE INDEX vote_of ON vote (match, author);

CREATE TRIGGER match_update BEFORE UPDATE ON match BEGIN SELECT RAISE(ABORT, 'votes are only ever added'); END;
CREATE TRIGGER match_delete BEFORE DELETE ON match BEGIN SELECT RAISE(ABORT, 'votes are only ever added'); END;
CREATE TRIGGER task_update BEFORE UPDATE ON task BEGIN SELECT RAISE(ABORT, 'votes are only ever added'); END;
CREATE TRIGGER task_delete BEFORE DELETE ON task BEGIN SELECT RAISE(ABORT, 'votes are only ever added'); END;
CREATE TRIGGER vote_update BEFORE UPDATE ON vote BEGIN SELECT RAISE(ABORT, 'votes are only ever added'); END;
CREATE TRIGGER vote_delete BEFORE DELETE ON vote BEGIN SELECT RAISE(ABORT, 'votes are only ever added'); END;
