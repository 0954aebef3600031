package jobstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nawasara/nawasync/internal/sqlkit"
	"github.com/nawasara/nawasync/tracker"
)

// Form is a form of the pages that was sent.
type Form struct {
	Request   string // a hash of who sent what
	StartedAt time.Time
	Answer    string // JSON; "" until the action of the form has ended
}

// ClaimForm records that the form with a token was sent, and returns nil. If it was sent before, ClaimForm
// changes nothing and returns what is recorded. Whoever gets nil must run the form's action and then call
// AnswerForm.
func (s *Store) ClaimForm(ctx context.Context, token, request string) (earlier *Form, err error) {
	var n int64
	err = s.exec(ctx, func(conn *sqlkit.Conn) error {
		done := conn.Exec(s.insertIgnore()+" nawasync_forms (token, request, started_at) VALUES (?, ?, ?)"+s.onConflict(), token, request, s.Now().UnixMicro())
		n = done.RowsAffected
		return done.Error
	})
	if err != nil {
		return nil, fmt.Errorf("claim a form: %w", err)
	}
	if n > 0 {
		return nil, nil //nolint:nilnil // nobody has sent the form before
	}
	return s.Form(ctx, token)
}

// Form returns what is recorded of the form with a token, or tracker.ErrNotFound.
func (s *Store) Form(ctx context.Context, token string) (*Form, error) {
	var f Form
	var at int64
	var answer sql.NullString
	err := s.DB(ctx).Row("SELECT request, started_at, answer FROM nawasync_forms WHERE token = ?", token).Scan(&f.Request, &at, &answer)
	if errors.Is(err, sql.ErrNoRows) {
		err = tracker.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("read a form: %w", err)
	}
	f.StartedAt, f.Answer = time.UnixMicro(at).UTC(), answer.String
	s.reachMoment(MomentFormRead)
	return &f, nil
}

// AnswerForm records the answer of the form with a token.
func (s *Store) AnswerForm(ctx context.Context, token, answer string) error {
	err := s.exec(ctx, func(conn *sqlkit.Conn) error {
		return conn.Exec("UPDATE nawasync_forms SET answer = ? WHERE token = ?", answer, token).Error
	})
	if err != nil {
		return fmt.Errorf("record the answer of a form: %w", err)
	}
	return nil
}

// forgetForms clears the answers that contain a target's ID. The forms stay answered, so that they are not
// handled again.
func forgetForms(conn *sqlkit.Conn, id string) error {
	quoted, err := sqlkit.JSONText(id)
	if err != nil {
		return err
	}
	return conn.Exec("UPDATE nawasync_forms SET answer = '{}' WHERE answer LIKE ? ESCAPE '!'", "%"+sqlkit.EscapeLike(strings.Trim(quoted, `"`))+"%").Error
}

// PruneForms deletes up to limit forms that were sent before a time, and returns their number.
func (s *Store) PruneForms(ctx context.Context, before time.Time, limit int) (int, error) {
	tokens, err := sqlkit.Column[string](s.DB(ctx), "SELECT token FROM nawasync_forms WHERE started_at < ? ORDER BY started_at LIMIT ?", before.UnixMicro(), limit)
	if err == nil && len(tokens) > 0 {
		err = s.exec(ctx, func(conn *sqlkit.Conn) error {
			return conn.Exec("DELETE FROM nawasync_forms WHERE token IN ?", tokens).Error
		})
	}
	if err != nil {
		return 0, fmt.Errorf("prune forms: %w", err)
	}
	return len(tokens), nil
}

// ReleaseForm forgets the form with a token, whose action has not begun.
func (s *Store) ReleaseForm(ctx context.Context, token string) error {
	err := s.exec(ctx, func(conn *sqlkit.Conn) error {
		return conn.Exec("DELETE FROM nawasync_forms WHERE token = ? AND answer IS NULL", token).Error
	})
	if err != nil {
		return fmt.Errorf("release a form: %w", err)
	}
	return nil
}
