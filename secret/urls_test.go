package secret_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/nawasara/nawasync/secret"
)

const randomToken = "aB3dE5fG7hJ9kL1mN3pQ5rS7"

func TestSecretsOfWellKnownURLsAreMaskedAndTheirHostsAreNot(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"post https://hooks.slack.com/services/T00/B00/TOKEN: EOF":                                                                                 "post https://hooks.slack.com/services/***: EOF",
		"hooks.slack.com/services/T00/B00/TOKEN":                                                                                                   "hooks.slack.com/services/***",
		"https://hooks.slack.com/workflows/T00/A00/1/TOKEN":                                                                                        "https://hooks.slack.com/workflows/***",
		`{"text":"https:\/\/hooks.slack.com\/services\/T00\/B00\/TOKEN"} x`:                                                                        `{"text":"https:\/\/hooks.slack.com\/services\/***"} x`,
		"?next=https%3A%2F%2Fhooks.slack.com%2Fservices%2FT00%2FB00%2FTOKEN&":                                                                      "?next=https%3A%2F%2Fhooks.slack.com%2Fservices%2F***&",
		"https://discord.com/api/webhooks/123456789012345678/" + randomToken:                                                                       "https://discord.com/api/webhooks/123456789012345678/***",
		"https://discord.com/api/v10/webhooks/1234/" + randomToken + "?wait=1":                                                                     "https://discord.com/api/v10/webhooks/1234/***?wait=1",
		`Get "https://api.telegram.org/bot123456789:TOKEN-a_b/getMe": EOF`:                                                                         `Get "https://api.telegram.org/bot***/getMe": EOF`,
		"https://api.telegram.org/file/bot123456789%3ATOKEN/x.jpg":                                                                                 "https://api.telegram.org/file/bot***/x.jpg",
		"https://x.webhook.office.com/webhookb2/5f8a1234-1111-2222-3333-444455556666@5f8a1234-1111-2222-3333-444455556666/IncomingWebhook/TOKEN/x": "https://x.webhook.office.com/webhookb2/***",
		"https://hooks.zapier.com/hooks/catch/123/TOKEN/":                                                                                          "https://hooks.zapier.com/hooks/catch/***",
		"https://maker.ifttt.com/trigger/event/with/key/TOKEN":                                                                                     "https://maker.ifttt.com/trigger/event/with/key/***",
		"https://events.pagerduty.com/integration/TOKEN/enqueue":                                                                                   "https://events.pagerduty.com/integration/***",
		"https://chat.example.org/hooks/" + randomToken:                                                                                            "https://chat.example.org/hooks/***",
		"https://hc-ping.com/5f8a1234-1111-2222-3333-444455556666/fail":                                                                            "https://hc-ping.com/***",
		"https://hook.eu1.make.com/TOKEN":                                                                                                          "https://hook.eu1.make.com/***",
		"https://whm:2087/cpsess1234567890/json-api/listaccts":                                                                                     "https://whm:2087/cpsess***/json-api/listaccts",
		"https://h/logic?api-version=1&sig=TOKEN&x=1":                                                                                              "https://h/logic?api-version=1&sig=***&x=1",
		"https://b.s3/x?X-Amz-Date=1&X-Amz-Signature=TOKEN":                                                                                        "https://b.s3/x?X-Amz-Date=1&X-Amz-Signature=***",
		"https://maps.example.org/x?key=" + randomToken + "&q=y":                                                                                   "https://maps.example.org/x?key=***&q=y",
		"https://h/webhooks/12 and https://h/services/gold/plan?key=name":                                                                          "https://h/webhooks/12 and https://h/services/gold/plan?key=name",
		"https://h/hooks/list, /boots/bot12 and /api/v1/zones/5f8a12341111a2":                                                                      "https://h/hooks/list, /boots/bot12 and /api/v1/zones/5f8a12341111a2",
		"https://app:TOKEN@h/services/x":                                                                                                           "https://***@h/services/x",
	} {
		got := masked(t, in)
		if strings.Contains(got, "TOKEN") || got != want {
			t.Errorf("%q\n     became %q,\nwant        %q", in, got, want)
		}
		if again := masked(t, got); again != got {
			t.Errorf("%q becomes %q when it is masked again", got, again)
		}
	}
}

func TestSecretsInFieldsOfURLsAreMasked(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`{"webhook_url":"https://h/x/` + randomToken + `/y"}`:             `{"webhook_url":"https://h/x/***"}`,
		`{"Webhook":["https://h/x?a=b&c=` + randomToken + `&d=e"]}`:       `{"Webhook":["https://h/x?a=b&c=***&d=e"]}`,
		`{"webhook":{"url":"https://h/` + randomToken + `","n":1}}`:       `{"webhook":{"url":"https://h/***","n":1}}`,
		`{"slackWebhookUrl":"https://hooks.slack.com/services/T/B/X"}`:    `{"slackWebhookUrl":"https://hooks.slack.com/services/***"}`,
		`{"password_reset_url":"https://h/r/` + randomToken + `"}`:        `{"password_reset_url":"https://h/r/***"}`,
		`{"database_url":"postgres://app:hunter2@db:5432/app"}`:           `{"database_url":"postgres://***@db:5432/app"}`,
		`{"callback":"https://h/` + randomToken + `","page_url":1}`:       `{"callback":"https://h/***","page_url":1}`,
		`{"token_url":"https://h/oauth2/token","jwks_uri":"https://h/k"}`: `{"token_url":"https://h/oauth2/token","jwks_uri":"https://h/k"}`,
		`{"avatar_url":"https://h/` + randomToken + `.png"}`:              `{"avatar_url":"https://h/` + randomToken + `.png"}`,
		`{"webhook_url":"https://h/events","curl":"x"}`:                   `{"webhook_url":"https://h/events","curl":"x"}`,
	} {
		got := string(secret.Mask([]byte(in)))
		if got != want {
			t.Errorf("Mask(%s)\n got %s\nwant %s", in, got, want)
		}
		if again := string(secret.Mask([]byte(got))); again != got {
			t.Errorf("%s becomes %s when it is masked again", got, again)
		}
	}
	arguments, _ := json.Marshal(map[string]string{"webhook": "https://h/x/" + randomToken})
	if got := secret.NewRedactor(arguments, secret.Mask(arguments), nil, nil).Text("no " + randomToken); got != "no ***" {
		t.Errorf("the secret of a webhook is left elsewhere: %q", got)
	}
}
