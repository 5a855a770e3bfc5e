// Unpacks the Chromium of @sparticuz/chromium into TMPDIR, with the shared libraries and fonts that come with it.
// The package unpacks the libraries only where it believes to be on Amazon Linux: the caller sets AWS_EXECUTION_ENV.
import chromium from "@sparticuz/chromium";

console.log(await chromium.executablePath());
