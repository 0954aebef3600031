package admin_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/admin"
	"github.com/nawasara/nawasync/admin/internal/mailboxes"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

// text removes the no-break spaces between numbers and units.
func text(page string) string { return strings.ReplaceAll(page, "\u00a0", " ") }

func TestFormatsShowValuesAsPeopleReadThem(t *testing.T) {
	t.Parallel()
	jakarta := time.FixedZone("WIB", 7*3600)
	onOff := admin.FormatEnum(map[string]string{"0": "off", "1": "on", "deny": "denied"})
	for _, c := range []struct {
		format      admin.Format
		value, want string
	}{
		{admin.FormatBytes(1), "734003200", "700 MB"},
		{admin.FormatBytes(1), "0", "0 bytes"},
		{admin.FormatBytes(1), "1023", "1,023 bytes"},
		{admin.FormatBytes(1), "372244999", "355 MB"},
		{admin.FormatBytes(1), "1073741824", "1 GB"},
		{admin.FormatBytes(1), `"1610612736"`, "1.5 GB"},
		{admin.FormatBytes(1 << 20), "1500", "1,500 MB"},
		{admin.FormatBytes(1 << 20), "1024", "1 GB"},
		{admin.FormatBytes(1 << 10), "9223372036854775807", ""},
		{admin.FormatBytes(1), "-1", ""},
		{admin.FormatBytes(1), `"a lot"`, ""},
		{admin.FormatBytes(1), "null", ""},
		{admin.FormatDuration(time.Minute), "90", "1 h 30 min"},
		{admin.FormatDuration(time.Second), "86400", "1 d"},
		{admin.FormatDuration(time.Millisecond), "250", "250 ms"},
		{admin.FormatDuration(time.Hour), "9223372036854775807", ""},
		{onOff, "1", "on"},
		{onOff, `"deny"`, "denied"},
		{onOff, "7", ""},
		{admin.FormatBool("yes", "no"), "true", "yes"},
		{admin.FormatBool("yes", "no"), "0", "no"},
		{admin.FormatTime, `"2026-01-02T03:04:05Z"`, "2026-01-02 10:04:05 +07:00"},
		{admin.FormatTime, "0", "1970-01-01 07:00:00 +07:00"},
		{admin.FormatTime, `"soon"`, ""},
	} {
		if got := text(c.format(json.RawMessage(c.value), jakarta)); got != c.want {
			t.Errorf("%s is shown as %q, want %q", c.value, got, c.want)
		}
	}
}

func TestNewRefusesAKeyThatNamesNoField(t *testing.T) {
	t.Parallel()
	s := newSite(t, testdb.SQLite(t), "", nil)
	for _, key := range []string{"", "whm/quota", "/mailbox.quota", "whm/.quota", "whm/mailbox."} {
		if _, err := admin.New(s.engine, admin.Config{Fields: map[string]admin.Field{key: {}}}); err == nil || !strings.Contains(err.Error(), "service/type.field") {
			t.Errorf("the key %q: %v", key, err)
		}
	}
}

// withQuota describes the quota of mailboxes in MB.
func withQuota(c *admin.Config) {
	c.Fields = map[string]admin.Field{
		"whm/box.quota": {Label: "Mail quota", Format: admin.FormatBytes(1 << 20)},
		"quota":         {Label: "another quota"},
	}
}

func TestPagesShowFieldsAsTheApplicationDescribesThem(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := newHostOf(t, db, 3, withQuota)
		seen := h.row(address(0))
		job, err := h.boxes.Update(t.Context(), seen, func(m *mailboxes.Mailbox) {
			m.Quota, m.Password = 1024, nawasync.NewSecret("hunter2-secret")
		}, nawasync.Options{By: "Ann"})
		noError(t, err)
		h.await(job.ID, tracker.StatusSuccess)
		page := text(h.get("viewer", fmt.Sprintf("/jobs/%d", job.ID)).body)
		for _, want := range []string{
			`<bdi class="muted">Mail quota</bdi> <del><bdi title="100">100 MB</bdi></del> → <ins><bdi title="1024">1 GB</bdi></ins>`,
			`<bdi class="muted">password</bdi> <bdi>***</bdi>`, "Requested by <bdi>Ann</bdi>",
		} {
			if !strings.Contains(page, want) {
				t.Errorf("the job's page lacks %s:\n%s", want, page)
			}
		}
		if raw := h.get("viewer", fmt.Sprintf("/jobs/%d.json", job.ID)).body; !strings.Contains(raw, `"to": 1024`) {
			t.Errorf("the JSON lacks the stored value: %s", raw)
		}
		conflict := h.conflict(1)
		page = text(h.get("operator", fmt.Sprintf("/jobs/%d", conflict.ID)).body)
		for _, want := range []string{
			`>Mail quota</th>`, `<mark><bdi title="300">300 MB</bdi></mark>`, "Seen by user:7",
			"The server keeps Mail quota 300 MB. The requested change is dropped.",
			"The server gets Mail quota 500 MB if it still has Mail quota 300 MB.",
			"The server gets Mail quota 500 MB, whatever it has now.",
		} {
			if !strings.Contains(page, want) {
				t.Errorf("the conflict's page lacks %s:\n%s", want, page)
			}
		}
		h.server.Set(address(2), 2048)
		h.sync(tracker.StatusSuccess)
		target := url.Values{"service": {"whm"}, "type": {"box"}, "instance": {"main"}, "id": {address(2)}}.Encode()
		if page := text(h.get("viewer", "/target?"+target).body); !strings.Contains(page, `Mail quota <del><bdi title="100">100 MB</bdi></del> → <ins><bdi title="2048">2 GB</bdi></ins>`) {
			t.Errorf("the object's page shows:\n%s", page)
		}
	})
}

// What the user of a token saw is not in the job, and may be in no history either.
func TestValueThatNobodyKnowsIsShownAsUnknown(t *testing.T) {
	t.Parallel()
	db := testdb.SQLite(t)
	h := newHostOf(t, db, 2, withQuota)
	job := h.conflict(1)
	noError(t, db.Exec(`UPDATE nawasync_jobs SET diff = '{"base":{},"desired":{"quota":500},"remote":{"quota":300}}', payload = '{"changes":{"quota":{"seen":"0a:0b","to":500}}}' WHERE id = ?`, job.ID).Error)
	for path, want := range map[string]string{
		fmt.Sprintf("/jobs/%d", job.ID):          `class="long"><bdi>unknown</bdi></td>`,
		fmt.Sprintf("/conflicts?job=%d", job.ID): `<del><bdi>unknown</bdi></del> → <ins><bdi title="500">500 MB</bdi></ins>`,
		"/jobs?q=status:conflict":                "unknown → 500 MB",
	} {
		page := text(h.get("operator", path).body)
		if !strings.Contains(page, want) || strings.HasPrefix(path, "/jobs/") && !strings.Contains(page, `<mark><bdi title="300">300 MB</bdi></mark>`) {
			t.Errorf("%s lacks %s:\n%s", path, want, page)
		}
	}
}

func TestFormatsKnowTheLanguageOfTheReader(t *testing.T) {
	t.Parallel()
	h := newHostOf(t, testdb.SQLite(t), 2, func(c *admin.Config) {
		c.Fields = map[string]admin.Field{"quota": {Format: admin.FormatBytes(1 << 20), FormatFor: func(language string) admin.Format {
			switch language {
			case "id":
				return admin.FormatBytesFor(1 << 20)("id")
			case "en":
				return nil
			}
			panic(language)
		}}}
	})
	job, err := h.boxes.Update(t.Context(), h.row(address(0)), func(m *mailboxes.Mailbox) { m.Quota = 1500 }, nawasync.Options{})
	noError(t, err)
	h.await(job.ID, tracker.StatusSuccess)
	for tag, want := range map[string]string{"en": "1,500 MB", "id": "1.500 MB"} {
		page := text(h.request("viewer", http.MethodGet, fmt.Sprintf("/jobs/%d", job.ID), nil, map[string]string{"Accept-Language": tag}).body)
		if !strings.Contains(page, `<ins><bdi title="1500">`+want+`</bdi></ins>`) {
			t.Errorf("in %s, the page lacks %s:\n%s", tag, want, page)
		}
	}
	for _, c := range []struct {
		format      admin.Format
		value, want string
	}{
		{admin.FormatBytesFor(1)("id"), "1610612736", "1,5 GB"},
		{admin.FormatBytesFor(1)("id"), "1023", "1.023 byte"},
		{admin.FormatBytesFor(1)("tlh"), "1610612736", "1.5 GB"},
		{admin.FormatDurationFor(time.Minute)("id"), "90", "1 jam 30 menit"},
		{admin.FormatDurationFor(time.Minute)("en-GB"), "90", "1 h 30 min"},
	} {
		if got := text(c.format(json.RawMessage(c.value), time.UTC)); got != c.want {
			t.Errorf("%s is shown as %q, want %q", c.value, got, c.want)
		}
	}
}

func TestAFormatThatFailsOrHidesADifferenceLeavesTheStoredValue(t *testing.T) {
	t.Parallel()
	masked := make(chan string, 100)
	for name, format := range map[string]admin.Format{
		"panics":          func(json.RawMessage, *time.Location) string { panic("no") },
		"knows nothing":   func(json.RawMessage, *time.Location) string { return "" },
		"knows one value": func(json.RawMessage, *time.Location) string { return "much" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHostOf(t, testdb.SQLite(t), 1, func(c *admin.Config) {
				c.Fields = map[string]admin.Field{"quota": {Format: format}, "password": {Format: func(value json.RawMessage, _ *time.Location) string {
					masked <- string(value)
					return "a password"
				}}}
			})
			job, err := h.boxes.Update(t.Context(), h.row(address(0)), func(m *mailboxes.Mailbox) {
				m.Quota, m.Password = 200, nawasync.NewSecret("hunter2-secret")
			}, nawasync.Options{})
			noError(t, err)
			h.await(job.ID, tracker.StatusSuccess)
			page := h.get("viewer", fmt.Sprintf("/jobs/%d", job.ID)).body
			if !strings.Contains(page, "<del><bdi>100</bdi></del> → <ins><bdi>200</bdi></ins>") || !strings.Contains(page, "<bdi>***</bdi>") {
				t.Errorf("the page shows:\n%s", page)
			}
			if len(masked) > 0 {
				t.Errorf("the format was called with %s", <-masked)
			}
		})
	}
}
