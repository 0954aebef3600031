package mirror

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/nawasara/nawasync"
)

const (
	// webhookWindow is how much the time of a signature may be off. Twice the window is less than the time for which
	// the pruner keeps accepted requests.
	webhookWindow = 5 * time.Minute
	// minWebhookSecret is the least length of a secret in bytes.
	minWebhookSecret = 16
	// maxSignatures is how many signatures of one header are checked.
	maxSignatures = 10
)

func checkWebhookSecrets(secrets []nawasync.Secret) error {
	if len(secrets) == 0 {
		return fmt.Errorf("%w: it has no Secrets and no Verify", nawasync.ErrInvalid)
	}
	for i, s := range secrets {
		if n := len(s.Reveal()); n < minWebhookSecret {
			return fmt.Errorf("%w: secret %d has %d bytes; the minimum is %d", nawasync.ErrInvalid, i+1, n, minWebhookSecret)
		}
	}
	return nil
}

// Sign returns the value of the header for a request with the default signature, made with the first of Secrets,
// for tests and for senders of your own. Without Secrets it returns "".
func (w Webhook[T]) Sign(at time.Time, body []byte) string {
	if len(w.Secrets) == 0 {
		return ""
	}
	unix := strconv.FormatInt(at.Unix(), 10)
	return "time=" + unix + ",sig1=" + hex.EncodeToString(signWebhook(w.Secrets[0], unix, body))
}

func signWebhook(key nawasync.Secret, unix string, body []byte) []byte {
	mac := hmac.New(sha256.New, []byte(key.Reveal()))
	_, _ = mac.Write([]byte(unix + "."))
	_, _ = mac.Write(body)
	return mac.Sum(nil)
}

// signatureCheck checks the default signature.
type signatureCheck struct {
	secrets []nawasync.Secret
	header  string
	now     func() time.Time
}

// verify returns the identity of a request: what is signed, whichever key signs it.
func (c signatureCheck) verify(r *http.Request, body []byte) (identity string, err error) {
	unix, signatures := parseSignature(r.Header.Get(c.header))
	seconds, err := strconv.ParseInt(unix, 10, 64)
	if err != nil || len(signatures) == 0 {
		return "", fmt.Errorf("the header %s has no time or no signature", c.header)
	}
	valid := false
	for _, key := range c.secrets { // all of them, so that the time does not tell which one was right
		want := signWebhook(key, unix, body)
		for _, got := range signatures {
			valid = hmac.Equal(got, want) || valid
		}
	}
	if !valid {
		return "", errors.New("the signature is wrong")
	}
	if off := c.now().Sub(time.Unix(seconds, 0)); off > webhookWindow || off < -webhookWindow {
		return "", fmt.Errorf("the request is of %s, which is more than %s off", time.Unix(seconds, 0).UTC().Format(time.RFC3339), webhookWindow)
	}
	return strconv.FormatInt(seconds, 10) + "." + string(body), nil
}

// parseSignature returns the time and the signatures of a header such as "time=1700000000,sig1=2f6a…".
func parseSignature(header string) (unix string, signatures [][]byte) {
	for part := range strings.SplitSeq(header, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch name {
		case "time", "t":
			unix = value
		case "sig1", "v1":
			if mac, err := hex.DecodeString(value); err == nil && len(signatures) < maxSignatures {
				signatures = append(signatures, mac)
			}
		}
	}
	return unix, signatures
}

// deliveryOf returns the stored identity of a request.
func deliveryOf(service, typ, identity string) string {
	sum := sha256.Sum256([]byte(service + "\x00" + typ + "\x00" + identity))
	return hex.EncodeToString(sum[:])
}
