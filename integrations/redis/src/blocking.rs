//! Blocking connections.

use redis::{Cmd, ConnectionLike, RedisResult, Value};

use super::TracedConnection;
use super::command::Call;
use super::failure;

impl<C: ConnectionLike> ConnectionLike for TracedConnection<C> {
    fn req_packed_command(&mut self, cmd: &[u8]) -> RedisResult<Value> {
        let span = self.start(self.inner.get_db(), |keys| Call::of_packed(cmd, keys));
        span.run(|| self.inner.req_packed_command(cmd), failure::outcome)
    }

    fn req_packed_commands(&mut self, cmd: &[u8], offset: usize, count: usize) -> RedisResult<Vec<Value>> {
        let span = self.start(self.inner.get_db(), |keys| Call::of_packed(cmd, keys));
        span.run(|| self.inner.req_packed_commands(cmd, offset, count), failure::outcome_of_all)
    }

    fn req_command(&mut self, cmd: &Cmd) -> RedisResult<Value> {
        let span = self.start(self.inner.get_db(), |keys| Call::of_command(cmd, keys));
        span.run(|| self.inner.req_command(cmd), failure::outcome)
    }

    fn get_db(&self) -> i64 {
        self.inner.get_db()
    }

    fn supports_pipelining(&self) -> bool {
        self.inner.supports_pipelining()
    }

    fn check_connection(&mut self) -> bool {
        self.inner.check_connection()
    }

    fn is_open(&self) -> bool {
        self.inner.is_open()
    }
}
