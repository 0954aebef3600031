package language

import (
	"strings"
	"testing"
)

func TestLanguageIsTheOneThatWasChosenOrThatTheBrowserAsksFor(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ own, chosen, header, want string }{
		{"en", "", "", "en"},
		{"en", "", "id", "id"},
		{"en", "", "id-ID,id;q=0.9,en-US;q=0.8,en;q=0.7", "id"},
		{"en", "", "en-US,en;q=0.9,id;q=0.8", "en"},
		{"en", "", "en;q=0.1, id;q=0.2", "id"},
		{"en", "", "id;q=0, en", "en"},
		{"en", "", "in", "id"},
		{"en", "", "nl,fr;q=0.9", "en"},
		{"en", "", "*", "en"},
		{"en", "", "nl,*;q=0.5,id;q=0.1", "en"},
		{"en", "", "id;q=much, ;;, =", "en"},
		{"en", "", strings.Repeat("x,", 5000) + "id", "en"},
		{"en", "id", "en", "id"},
		{"en", "en", "id", "en"},
		{"en", "nl", "id", "id"},
		{"id", "", "", "id"},
		{"id", "", "en", "en"},
		{"pt-BR", "", "pt", "pt-BR"},
		{"pt-BR", "", "nl", "pt-BR"},
		{"pt-BR", "en", "pt", "en"},
		{"en-GB", "", "en-US", "en-GB"},
	} {
		if got := NewSet(c.own, nil).Choose(c.chosen, c.header).Tag(); got != c.want {
			t.Errorf("own %q, chosen %q, header %.40q: got %s, want %s", c.own, c.chosen, c.header, got, c.want)
		}
	}
}

func TestMessagesReplaceTheTextsOfTheOwnLanguageOnly(t *testing.T) {
	t.Parallel()
	messages := map[string]string{"Jobs": "Tugas"}
	for own, want := range map[string][2]string{"en": {"Tugas", "Pekerjaan"}, "id": {"Jobs", "Tugas"}, "id-ID": {"Jobs", "Tugas"}, "nl": {"Jobs", "Pekerjaan"}} {
		s := NewSet(own, messages)
		if got := s.Choose("", "en").T("Jobs"); got != want[0] {
			t.Errorf("%s: English has %q, want %q", own, got, want[0])
		}
		if got := s.Choose("", "id").T("Jobs"); got != want[1] {
			t.Errorf("%s: Indonesian has %q, want %q", own, got, want[1])
		}
	}
	if got := NewSet("id", messages).Choose("", "id").T("Services"); got != "Layanan" {
		t.Errorf("a text without a message is %q", got)
	}
}

func TestLanguagesAreCalledByTheirOwnNames(t *testing.T) {
	t.Parallel()
	var names []string
	for _, l := range NewSet("nl", nil).All() {
		names = append(names, l.Tag()+" "+l.Name())
	}
	if got := strings.Join(names, ", "); got != "nl nl, en English, id Bahasa Indonesia" {
		t.Error(got)
	}
	if got := NewSet("nl", map[string]string{"English": "Nederlands"}).Choose("nl", "").Name(); got != "Nederlands" {
		t.Error(got)
	}
}

func TestNoLanguageIsEnglish(t *testing.T) {
	t.Parallel()
	var none *Language
	var noSet *Set
	if none.T("Jobs") != "Jobs" || none.Tag() != "en" || noSet.Choose("id", "id") != nil || Get("nl") != nil || Get("id-ID").T("Jobs") != "Pekerjaan" {
		t.Error("a nil Language is not English")
	}
}
