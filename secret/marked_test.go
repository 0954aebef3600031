package secret_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/nawasara/nawasync/secret"
)

// limited marshals at most 12 bytes of its Secret.
type limited struct{ Token secret.Secret }

func (l limited) MarshalJSON() ([]byte, error) {
	token := l.Token.Reveal()
	return json.Marshal(map[string]string{"token": token[:min(12, len(token))]})
}

// strict refuses every Secret but one of six digits.
type strict struct{ PIN secret.Secret }

func (s strict) MarshalJSON() ([]byte, error) {
	pin := s.PIN.Reveal()
	if len(pin) != 6 || strings.Trim(pin, "0123456789") != "" {
		return nil, errors.New("not a PIN")
	}
	return json.Marshal(pin)
}

// halves marshals its Secret in two parts.
type halves struct{ Token secret.Secret }

func (h halves) MarshalJSON() ([]byte, error) {
	token := h.Token.Reveal()
	return json.Marshal([]string{token[:len(token)/2], token[len(token)/2:]})
}

func TestATypeThatLimitsTheLengthOfASecretIsSealedIfTheSecretIsWhole(t *testing.T) {
	t.Parallel()
	s := secret.New
	for name, test := range map[string]struct {
		value any
		ok    bool
	}{
		"short enough":                           {limited{s("value-12")}, true},
		"several of the same value":              {[]any{limited{s("value-12")}, limited{s("value-12")}, s("value-12")}, true},
		"a format":                               {strict{s("123456")}, true},
		"cut":                                    {limited{s("value-123-456")}, false},
		"cut, with the whole value elsewhere":    {[]any{limited{s("value-123-456")}, s("value-123-456")}, false},
		"masked, with the value elsewhere":       {[]any{formatted{s("value-12")}, s("value-12")}, false},
		"masked, beside one that limits":         {[]any{formatted{s("value-12")}, limited{s("value-12")}}, false},
		"masked, with the value as another text": {[]any{formatted{s("123456")}, "123456", limited{s("value-12")}}, false},
		"in parts":                               {halves{s("value-12")}, false},
		"too short to be sure":                   {[]any{formatted{s("1234")}, "1234"}, false},
	} {
		_, _, err := new(secret.Revealer).Reveal(test.value)
		if (err == nil) != test.ok {
			t.Errorf("%s: error %v", name, err)
		}
		if err != nil && (!strings.Contains(err.Error(), "whatever its length") || strings.Contains(fmt.Sprint(err), "value-1")) {
			t.Errorf("%s: the error %q does not say what to do, or shows the value", name, err)
		}
	}
}
