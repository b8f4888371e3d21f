import express from 'express';
import { log } from '@platform/log';

const app = express();
app.get('/', (_req, res) => { res.send('gateway'); });
app.listen(3005, () => log('listening on 3005'));
