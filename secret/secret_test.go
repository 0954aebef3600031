package secret_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/nawasara/nawasync/secret"
)

const hunter = "hunter2/quo\"ted&ünsafe"

func TestSecretNeverPrints(t *testing.T) {
	t.Parallel()
	s := secret.New(hunter)
	type holder struct {
		Public  secret.Secret
		private secret.Secret
		pointer *secret.Secret
	}
	h := holder{s, s, &s}
	var texts []string
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%e", "%p", "%T", "%10v", "%c", "%U"} {
		for _, value := range []any{s, &s, h, &h, []any{s, h}, map[string]any{"k": s}, [1]holder{h}} {
			texts = append(texts, fmt.Sprintf(verb, value))
		}
	}
	for _, value := range []any{s, h, &h, map[string]secret.Secret{"k": s}, map[secret.Secret]int{}} {
		text, err := json.Marshal(value)
		texts = append(texts, string(text), fmt.Sprint(err))
	}
	var log strings.Builder
	logger := slog.New(slog.NewJSONHandler(&log, nil))
	logger.Info("x", "secret", s, "holder", h, slog.Group("g", "s", &s))
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "secret", s, "holder", h)
	texts = append(texts, log.String(), fmt.Errorf("wrapped: %w %v", errors.New(s.String()), s).Error())
	_, err := s.Value()
	_, gobErr := s.GobEncode()
	if err == nil || gobErr == nil {
		t.Error("Value or GobEncode returned no error")
	}
	func() {
		defer func() { texts = append(texts, fmt.Sprint(recover())) }()
		panic(h)
	}()
	for _, text := range texts {
		for _, form := range []string{
			hunter, "hunter2", fmt.Sprintf("%x", "hunter2"), fmt.Sprintf("%X", "hunter2"),
			base64.StdEncoding.EncodeToString([]byte(hunter)),
		} {
			if strings.Contains(text, form) {
				t.Fatalf("the secret was printed: %s", text)
			}
		}
	}
	var back secret.Secret
	if err := json.Unmarshal([]byte(`"abc"`), &back); err != nil {
		t.Fatal(err)
	}
	if s.Reveal() != hunter || back.Reveal() != "abc" || !(secret.Secret{}).IsZero() {
		t.Fatal("Reveal returned another value")
	}
	if err := json.Unmarshal([]byte(`{"a":"hunter2"}`), &back); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Fatalf("unmarshal an object: %v", err)
	}
}
