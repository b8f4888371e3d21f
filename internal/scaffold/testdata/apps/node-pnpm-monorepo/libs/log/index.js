const colors = require('picocolors');

exports.log = (text) => console.log(colors.dim(new Date().toISOString()), text);
