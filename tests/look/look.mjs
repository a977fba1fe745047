// Looks at a report in a real browser: node look.mjs REPORT.html FOLDER. Pictures at the widths of a desk and a phone, light and dark, and a PDF
// go into FOLDER; what axe-core finds, a page wider than its window, a request or a message of the browser is an error.
// Needs Chromium (CHROMIUM says where), and `npm install puppeteer-core axe-core` where this runs.
import fs from 'node:fs';
import path from 'node:path';
import { createRequire } from 'node:module';

const require = createRequire(path.resolve('package.json'));
const puppeteer = require('puppeteer-core');
const axe = fs.readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
const [report, folder] = process.argv.slice(2).map((word) => path.resolve(word));
fs.mkdirSync(folder, { recursive: true });
const browser = await puppeteer.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox'] });
const wrong = [];

async function opened(scheme, width, bypass) {
  const page = await browser.newPage();
  page.on('console', (message) => wrong.push(`${scheme} ${width}: ${message.text()}`));
  page.on('request', (request) => request.url().startsWith('file:') || wrong.push(`asked for ${request.url()}`));
  await page.setBypassCSP(bypass);
  await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
  await page.setViewport({ width, height: 900 });
  await page.goto(`file://${report}`);
  return page;
}

for (const scheme of ['light', 'dark']) {
  for (const width of [1280, 390]) {
    const page = await opened(scheme, width, false);
    const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    if (over > 0) wrong.push(`${scheme} ${width}: wider than its window by ${over}`);
    await page.screenshot({ path: `${folder}/${scheme}-${width}.png`, fullPage: true });
    await page.close();
    // The page allows no script, axe's neither.
    const looked = await opened(scheme, width, true);
    await looked.evaluate(axe);
    const found = await looked.evaluate(() => axe.run({ resultTypes: ['violations'] }));
    for (const it of found.violations) wrong.push(`${scheme} ${width}: ${it.id}, ${it.help}: ${it.nodes[0].html.slice(0, 200)}`);
    await looked.close();
  }
}
const paper = await opened('dark', 1280, false);
await paper.pdf({ path: `${folder}/print.pdf`, format: 'A4' });
await browser.close();
for (const what of wrong) console.error(what);
console.log(`${wrong.length} faults; pictures and print.pdf are in ${folder}`);
process.exit(wrong.length ? 1 : 0);
