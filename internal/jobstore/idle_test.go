package jobstore_test

import (
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/internal/storetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

// idleSetting returns the limit of a transaction on PostgreSQL.
func idleSetting(t *testing.T, tx *gorm.DB) (setting string) {
	t.Helper()
	if err := tx.Raw("SHOW idle_in_transaction_session_timeout").Row().Scan(&setting); err != nil {
		t.Fatal(err)
	}
	return setting
}

// A process that freezes in the transaction of an outcome must not lock its rows for ever.
func TestTransactionOfAnOutcomeIsNotIdleForLongAndLeavesTheSettingsOfTheHost(t *testing.T) {
	t.Parallel()
	b := storetest.New(t, testdb.Postgres(t))
	pool, err := b.Database.DB.DB()
	b.NoError(err)
	pool.SetMaxOpenConns(1) // so that all transactions have the same connection
	b.NoError(b.Inspect(t.Context()))
	var during string
	settle := func(lane int64) {
		job := b.ClaimOne(b.Insert(storetest.NewJob(lane))[0])
		b.SettleAll(&jobstore.Outcome{Job: job, Status: tracker.StatusSuccess, OnSuccess: func(tx *gorm.DB) error {
			during = idleSetting(t, tx)
			return nil
		}})
	}
	settle(1)
	if during != "1min" {
		t.Errorf("the transaction of an outcome may be idle for %q, want 1min", during)
	}
	b.NoError(b.Transaction(t.Context(), func(tx *gorm.DB) error {
		b.NoError(b.LimitIdle(t.Context(), tx))
		during = idleSetting(t, tx)
		return nil
	}))
	if during != "1min" {
		t.Errorf("the transaction of a tick may be idle for %q, want 1min", during)
	}
	if after := idleSetting(t, b.Database.DB); after != "0" {
		t.Errorf("after the outcome, the connection has the limit %q", after)
	}
	// The server's own limit is the one that the operator wants.
	b.NoError(b.Database.Exec("SET idle_in_transaction_session_timeout = '5min'").Error)
	b.NoError(b.Inspect(t.Context()))
	settle(2)
	if limit, err := b.IdleLimit(t.Context()); during != "5min" || limit != 5*time.Minute || err != nil {
		t.Errorf("with a limit of 5 minutes, the transaction of an outcome may be idle for %q; read was %s (%v)", during, limit, err)
	}
}

func TestIdleLimitIsWhatTheServerSays(t *testing.T) {
	t.Parallel()
	for _, opener := range testdb.Openers() {
		t.Run(opener.Name, func(t *testing.T) {
			t.Parallel()
			db := opener.Open(t)
			b := storetest.New(t, db)
			pool, err := db.DB.DB()
			b.NoError(err)
			pool.SetMaxOpenConns(1) // the settings are those of the connection
			b.NoError(b.Inspect(t.Context()))
			limits := map[string]time.Duration{}
			switch b.Server() {
			case "PostgreSQL":
				limits["SET idle_in_transaction_session_timeout = 0"] = 0
				limits["SET idle_in_transaction_session_timeout = '90s'"] = 90 * time.Second
			case "MariaDB":
				limits["SET idle_transaction_timeout = 0, idle_write_transaction_timeout = 0, wait_timeout = 28800"] = 8 * time.Hour
				limits["SET idle_transaction_timeout = 60, idle_write_transaction_timeout = 0, wait_timeout = 28800"] = time.Minute
				limits["SET idle_transaction_timeout = 0, idle_write_transaction_timeout = 70, wait_timeout = 28800"] = 70 * time.Second
			case "MySQL":
				limits["SET wait_timeout = 60"] = time.Minute
			default:
				limits["SELECT 1"] = 0
			}
			for set, want := range limits {
				b.NoError(db.Exec(set).Error)
				if limit, err := b.IdleLimit(t.Context()); limit != want || err != nil {
					t.Errorf("after %s, the limit is %s (%v), want %s", set, limit, err, want)
				}
			}
		})
	}
}
