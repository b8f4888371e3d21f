'use strict';

// Copies src/ to dist/ and stamps the version into it.
const fs = require('node:fs');
const path = require('node:path');
const { version } = require('../package.json');

const root = path.join(__dirname, '..');
fs.rmSync(path.join(root, 'dist'), { recursive: true, force: true });
fs.cpSync(path.join(root, 'src'), path.join(root, 'dist'), { recursive: true });
fs.writeFileSync(path.join(root, 'dist', 'version.json'), JSON.stringify({ version }) + '\n');
console.log(`built shop ${version}`);
