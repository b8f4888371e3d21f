const fs = require('fs');
const prettier = require('prettier');

fs.mkdirSync('lib', { recursive: true });
prettier.format(fs.readFileSync('source/main.js', 'utf8'), { parser: 'babel' }).then((text) => fs.writeFileSync('lib/main.js', text));
