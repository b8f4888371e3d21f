const http = require('http');

const port = process.env.PORT || 4000;
http.createServer((req, res) => {
  res.setHeader('content-type', 'text/plain');
  res.end(new Date().toISOString() + '\n');
}).listen(port, () => console.log(`listening on ${port}`));
