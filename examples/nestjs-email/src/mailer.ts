import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { createTransport } from 'nodemailer';

export interface Mail {
  to: string;
  subject: string;
  text: string;
}

/** Hands mails to the SMTP server that SMTP_URL names. */
@Injectable()
export class Mailer implements OnApplicationShutdown {
  private readonly from = process.env.MAIL_FROM ?? 'no-reply@mail.example';
  private readonly transport = createTransport({ url: process.env.SMTP_URL ?? 'smtp://127.0.0.1:2525', pool: true });

  /** The message's id, once the server has taken it. */
  async send(mail: Mail): Promise<string> {
    const { messageId } = await this.transport.sendMail({ from: this.from, ...mail });
    return messageId;
  }

  onApplicationShutdown() {
    this.transport.close();
  }
}
