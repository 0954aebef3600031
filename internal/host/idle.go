package host

import "time"

// IdleLimit says after how long the database ends a transaction that its process has left alone.
type IdleLimit struct {
	Server string        // PostgreSQL, MariaDB, MySQL or SQLite
	Limit  time.Duration // 0 if it never does
	// Setting is what to set, if the limit is missing or too long, and "" otherwise.
	Setting string
}
