import 'reflect-metadata';

import { ConsoleLogger } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';

import { accessLog } from './access-log.js';
import { AppModule } from './app.module.js';

const logger = new ConsoleLogger({ json: true });
const app = await NestFactory.create(AppModule, { logger });
app.use(accessLog(logger));
// SIGTERM: finish the requests in flight, then close the SMTP connections.
app.enableShutdownHooks();
// PORT is a number, or the path of a Unix socket.
await app.listen(process.env.PORT ?? 3000, process.env.HOST ?? '0.0.0.0');
