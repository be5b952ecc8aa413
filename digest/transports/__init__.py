"""What hands messages over: the outbox (default), SMTP, SendGrid; and the message itself, built once and addressed
many times."""
