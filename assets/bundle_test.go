package assets_test

import (
	"bytes"
	"debug/macho"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"howett.net/plist"
)

// TestBundle makes a bundle of this test's own executable and reads it as a Mac would.
// With GIMBAL_APP it reads that bundle, a real one.
func TestBundle(t *testing.T) {
	app := os.Getenv("GIMBAL_APP")
	if app == "" {
		app = makeBundle(t)
	}
	info := readPlist(t, filepath.Join(app, "Contents", "Info.plist"))
	executable, _ := info["CFBundleExecutable"].(string)
	if stat, err := os.Stat(filepath.Join(app, "Contents", "MacOS", executable)); err != nil || stat.Mode()&0o111 == 0 {
		t.Errorf("the executable %q is not there or cannot be run: %v", executable, err)
	}
	if file, err := macho.Open(filepath.Join(app, "Contents", "MacOS", executable)); err == nil && file.Cpu != macho.CpuArm64 {
		t.Errorf("the executable is for %v, want arm64", file.Cpu)
	}
	icon, _ := info["CFBundleIconFile"].(string)
	checkICNS(t, filepath.Join(app, "Contents", "Resources", icon))
	toml, err := os.ReadFile(filepath.Join("..", "FyneApp.toml"))
	if err != nil {
		t.Fatal(err)
	}
	for key, field := range map[string]string{
		"CFBundleName": "Name", "CFBundleIdentifier": "ID", "CFBundleShortVersionString": "Version", "CFBundleVersion": "Build",
	} {
		if want := regexp.MustCompile(`(?m)^` + field + ` = "?([^"\n]+)"?$`).FindSubmatch(toml); want == nil || info[key] != string(want[1]) {
			t.Errorf("%s is %q, FyneApp.toml says %q", key, info[key], want)
		}
	}
	for key, want := range map[string]any{
		"CFBundlePackageType": "APPL", "LSMinimumSystemVersion": "14.0", "NSHighResolutionCapable": true, "NSPrincipalClass": "NSApplication",
	} {
		if info[key] != want {
			t.Errorf("%s is %v, want %v", key, info[key], want)
		}
	}
	checkDocuments(t, info, "public.image", "public.folder")
	for _, language := range info["CFBundleLocalizations"].([]any) {
		if _, err := os.Stat(filepath.Join(app, "Contents", "Resources", language.(string)+".lproj")); err != nil {
			t.Error(err)
		}
	}
	checkStrings(t, info, filepath.Join(app, "Contents", "Resources", "zh-Hans.lproj", "InfoPlist.strings"))
	readPlist(t, filepath.Join("mac", "entitlements.plist"))
}

// checkStrings wants a translation of every reason for which the Mac asks the user,
// and none of anything else.
func checkStrings(t *testing.T, info map[string]any, path string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var words map[string]string
	if format, err := plist.Unmarshal(text, &words); err != nil || format != plist.OpenStepFormat {
		t.Fatalf("%s holds no strings: %v", path, err)
	}
	known := map[string]bool{}
	for key := range info {
		if strings.HasSuffix(key, "UsageDescription") {
			known[key] = true
		}
	}
	for _, document := range info["CFBundleDocumentTypes"].([]any) {
		known[document.(map[string]any)["CFBundleTypeName"].(string)] = true
	}
	for key := range known {
		if words[key] == "" {
			t.Errorf("%s does not translate %q", path, key)
		}
	}
	if len(words) != len(known) {
		t.Errorf("%s translates %d words, want %d", path, len(words), len(known))
	}
}

func makeBundle(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	icon := filepath.Join(dir, "icon.icns")
	picture, err := os.ReadFile("icon.png")
	if err != nil {
		t.Fatal(err)
	}
	ic09 := append(binary.BigEndian.AppendUint32([]byte("ic09"), uint32(8+len(picture))), picture...)
	icns := append(binary.BigEndian.AppendUint32([]byte("icns"), uint32(8+len(ic09))), ic09...)
	if err := os.WriteFile(icon, icns, 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", filepath.Join("mac", "bundle.sh"), os.Args[0], icon, dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return filepath.Join(dir, "Gimbal.app")
}

func readPlist(t *testing.T, path string) map[string]any {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var values map[string]any
	if format, err := plist.Unmarshal(text, &values); err != nil || format != plist.XMLFormat {
		t.Fatalf("%s is no XML property list: %v", path, err)
	}
	if left := regexp.MustCompile(`@[A-Z]+@`).Find(text); left != nil {
		t.Errorf("%s still holds %s", path, left)
	}
	return values
}

func checkICNS(t *testing.T, path string) {
	t.Helper()
	icns, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(icns) < 16 || string(icns[:4]) != "icns" || int(binary.BigEndian.Uint32(icns[4:])) != len(icns) {
		t.Fatalf("%s is no icon", path)
	}
	for rest := icns[8:]; len(rest) > 0; {
		n := 0
		if len(rest) >= 8 {
			n = int(binary.BigEndian.Uint32(rest[4:]))
		}
		if n < 8 || n > len(rest) || !bytes.HasPrefix(rest[8:n], []byte("\x89PNG")) {
			t.Fatalf("%s is damaged", path)
		}
		rest = rest[n:]
	}
}

// checkDocuments wants the bundle to open these types of files, and to leave being
// the one that opens them by default to others.
func checkDocuments(t *testing.T, info map[string]any, want ...string) {
	t.Helper()
	var got []string
	types, _ := info["CFBundleDocumentTypes"].([]any)
	for _, each := range types {
		document := each.(map[string]any)
		if document["LSHandlerRank"] != "Alternate" || document["CFBundleTypeRole"] != "Viewer" {
			t.Errorf("the document type %v takes more than it should", document)
		}
		for _, kind := range document["LSItemContentTypes"].([]any) {
			got = append(got, kind.(string))
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("the bundle opens %q, want %q", got, want)
	}
}
