import type { IncomingMessage, ServerResponse } from 'node:http';

import type { LoggerService } from '@nestjs/common';

/** One line for each answer, with the caller that the request names: the audit of who sends mail. */
export function accessLog(logger: LoggerService) {
  return (request: IncomingMessage & { originalUrl?: string }, response: ServerResponse, next: () => void) => {
    response.on('finish', () => {
      const caller = request.headers['x-caller-service'] ?? '-';
      logger.log(`${request.method} ${request.originalUrl} ${response.statusCode} caller=${caller}`, 'access');
    });
    next();
  };
}
