use std::sync::Arc;

use throughline::{biz_tags, traced_spawn};

struct Orders {
    tenant_id: String,
}

impl Orders {
    #[traced_spawn(kind = consumer)]
    #[biz_tags(tenant_id = self.tenant_id, order_no)]
    async fn receipt(self: Arc<Self>, order_no: u64) -> u64 {
        order_no
    }
}
