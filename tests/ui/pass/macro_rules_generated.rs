//! Functions that a macro writes, with names and types of the caller's.

#![deny(warnings)]

use throughline::{biz_tags, traced, traced_spawn};

macro_rules! service {
    ($($vis:vis fn $name:ident($argument:ident: $ty:ty) -> $out:ty $body:block)*) => {$(
        #[traced(kind = server)]
        $vis fn $name($argument: $ty) -> $out $body
    )*};
}

macro_rules! traced_item {
    ($item:item) => {
        #[traced]
        $item
    };
}

macro_rules! with_tag {
    ($name:ident, $key:literal, $argument:ident) => {
        #[traced(name = concat!("call ", stringify!($name)))]
        #[biz_tags($key = $argument)]
        fn $name($argument: u64, own: u64) -> u64 {
            // `own` is the macro's, not the caller's.
            $argument + own
        }
    };
}

macro_rules! job {
    ($name:ident, $ty:ty, $value:expr) => {
        #[traced_spawn]
        async fn $name(mut total: $ty) -> $ty {
            total += $value;
            total
        }
    };
}

macro_rules! of_expression {
    ($name:ident, $tag:expr) => {
        #[traced(tags(sum = $tag))]
        fn $name() -> u64 {
            $tag
        }
    };
}

macro_rules! block {
    ($ty:ident { $($member:item)* }) => {
        struct $ty;

        #[traced(kind = client)]
        impl $ty {
            $($member)*
        }
    };
}

block!(Store {
    const ROOM: usize = { 2 };

    fn count(&self) -> [u64; Self::ROOM] {
        [1, 2]
    }

    /// Each is a method of its own.
    #[must_use]
    pub fn new() -> Self {
        Self
    }

    #[traced("look up", ret)]
    async fn look_up(&self, no: u64) -> u64 {
        no
    }
});

service! {
    pub fn place(no: u64) -> u64 {
        no
    }
    fn cancel(no: u64) -> Result<u64, String> {
        Ok(no)
    }
}

traced_item! {
    async fn whole(list: Vec<u64>) -> usize {
        list.len()
    }
}

with_tag!(tagged, "biz.order_no", no);
job!(job, u64, 1);
of_expression!(sum, 1 + 2);

#[tokio::main(flavor = "current_thread")]
async fn main() {
    assert_eq!(cancel(1), Ok(place(1)));
    assert_eq!(whole(vec![1]).await, 1);
    assert_eq!(tagged(1, 2), 3);
    assert_eq!(job(1).await.unwrap(), 2);
    assert_eq!(sum(), 3);
    assert_eq!(Store::new().count()[1], Store.look_up(2).await);
}
